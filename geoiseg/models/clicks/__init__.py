"""Networks that are shown the clicks with the picture: RITM, SimpleClick, FocalClick, CDNet, DOS.

Written anew in plain torch, with the names that their authors' published checkpoints use.
"""
