"""The numbers of public codebases on given rows. Each codebase is a module, and is found here."""
