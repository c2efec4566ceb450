"""What one study costs beyond its climbs, and what the same grid costs when scripted by hand."""
