"""Translation memories from files: for a model, and by language pair for the service.

``text/formats/`` reads the files, and ``translation/memory/`` looks texts up. Here is only which files are for which
pair, and what the screen says of them.
"""
