"""The map post-processing methods, one file each, under their own names: ``postprocessing.NAME(maps, ...)``."""
