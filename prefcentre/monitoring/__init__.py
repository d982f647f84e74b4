"""How the installation is doing, as numbers for a monitoring system (Prometheus).

Owns no table: it puts together what processes counted and what rows tell. No number is about a person.
"""
