"""The file name endings of videos, in lower case and without the dot."""

ENDINGS = "mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp ts mts ogv m2v f4v 3g2 m2ts vob ogm mjpeg mjpg divx asf rm y4m gif".split()
