"""What changes an archive, apart from the command line: never prints, never exits."""
