"""An archive as one file, and back; every byte checked."""
