"""The Qt side: tray, windows, dialogs and notifications; the only package that imports PySide6."""
