"""Schemas of the YAML files, the one reader of them, and where they are found."""
