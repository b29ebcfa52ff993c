"""Work that outlives its request: written down before it is promised, recorded once when it is done."""
