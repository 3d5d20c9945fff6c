"""One module a command: its arguments, its help, its examples. What it does is a module of cli/ beside."""
