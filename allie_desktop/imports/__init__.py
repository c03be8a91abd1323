"""Foreign conversations in, one format a file.

``registry`` is the door: it finds the importer that fits a file, a zip or a folder, and reads it. Every
importer streams: it holds one conversation in memory, never a file. A bad conversation becomes a
:class:`~allie_desktop.domain.conversation.Refusal` with its line and a sentence, and the next one is read.
"""
