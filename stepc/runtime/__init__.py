"""What every floor needs of the machine: atomic files and a watchdog."""
