"""What a portfolio consists of, and how it is read from files and forms; pure."""
