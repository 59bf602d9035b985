"""A server as a program: in one process, or in several under a supervisor."""
