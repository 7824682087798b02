"""How pictures are drawn: sheets, tiles, matrices, letters, colours, films."""
