"""Findings told to people and programs elsewhere: as mail, a chat's message, an SNS message, a line, a command's input."""
