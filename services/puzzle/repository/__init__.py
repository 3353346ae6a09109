"""All SQL on schema `puzzle`."""
