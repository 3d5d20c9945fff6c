"""One module a verb: options in, a result out, progress to a callback. Never prints, never exits."""
