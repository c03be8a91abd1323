"""The command line: one family of commands a module, each thin over the services.

``app`` joins the families, ``output`` is the only place that writes to stdout and stderr, and
``bootstrap`` gives a command the parts that it needs when it needs them, so that ``allie --help`` and
``allie status`` never load torch.

With ``--json`` a command prints one JSON document to stdout and nothing else. An error is a document
too, ``{"error": {"message", "remedy", "exit_code"}}``, so that a script reads one stream whatever
happens. Exit codes: 0 done, 1 failed, 2 bad usage or bad input, 3 the gate did not deploy, 4 held.
"""
