"""The methods that are compared, and the baselines that a result has to be seen against."""
