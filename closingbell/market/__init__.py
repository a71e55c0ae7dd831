"""What a price is: the trading calendar, instruments, bars, their adjustment and their checks."""
