"""SQLite: the database, its migrations and backups, and one repository a file.

One :class:`~allie_desktop.store.database.Database` is one connection and belongs to the thread that
opened it. Other threads and other processes (the command line beside the tray) open their own on the same
file; SQLite's write-ahead log lets all of them read while one of them writes.
"""
