"""Runtime utilities that all packages use: atomic files and a watchdog."""
