"""Boxes from elsewhere: files of detections, what they are of, and how they follow each other."""
