"""What IFlow and IVAE have in common: reading, fitting, handing out, saving."""
