"""The numbered parts of the report, one module each: tables in, a `Section` out."""
