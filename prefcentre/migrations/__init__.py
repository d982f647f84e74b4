"""The history of the tables: one for everything, and a small one for opens and clicks."""
