"""The means of drawing that pictures share: sheets, tiles, matrices, letters, colours, films."""
