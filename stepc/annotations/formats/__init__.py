"""Readers of annotations, one file each.

A file defines `READER`; its name is that of the file. To add one, add a file here, or name an
`AnnotationReader` in the entry-point group `stepc.annotations` of your own package.
"""
