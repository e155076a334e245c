"""How the shipped small model was made: ``python -m geoiseg.training`` makes one like it.

Needs the ``train`` extra. Nothing at run time imports this package. Train, judge on the
held-out scenes and write the files that ship::

    python -m geoiseg.training runs/a --data DATA/train --export geoiseg/models/tiny

On a GPU machine without GDAL, pack the data first where GDAL is, then go on from a
checkpoint there::

    python -m geoiseg.training - --data DATA/train --pack packed
    python -m geoiseg.training runs/b --data packed --start checkpoint.pt --minutes 20
"""
