"""Loading incidents that another system recorded: what its columns mean is data, what is done with them is here."""
