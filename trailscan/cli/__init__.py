"""The only place that parses arguments, prints and exits."""
