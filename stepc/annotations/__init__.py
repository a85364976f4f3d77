"""Human annotations as graphs: what data sets say of videos, read as they are published."""
