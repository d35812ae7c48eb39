"""The commands behind the command line, loaded when they are asked for."""
