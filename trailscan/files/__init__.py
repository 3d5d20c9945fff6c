"""Local files, folders, tars and zips: the objects in them, found and read byte for byte."""
