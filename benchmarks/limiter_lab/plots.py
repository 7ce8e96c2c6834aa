def draw(folder, row, result):
    pass
