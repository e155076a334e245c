"""The map in the notebook: click, see, refine, accept."""
