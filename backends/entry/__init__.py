"""The native entry: one table-driven routine that binds, guards, runs plans and builds results for every compiled function."""
