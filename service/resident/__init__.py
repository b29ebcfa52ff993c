"""Models in memory: which version answers, how it comes in, who has to leave."""
