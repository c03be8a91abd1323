"""The windows: the main window with its pages, the first run, and what they are made of."""
