FROM dormouse/debian:12
COPY . /c
