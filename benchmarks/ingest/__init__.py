"""How fast span files are read and asked, beside other ways to do it."""
