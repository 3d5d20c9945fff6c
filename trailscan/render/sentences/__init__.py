"""The last words of every command, as pure text: they print nothing and open nothing."""
