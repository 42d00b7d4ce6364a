#!/bin/sh
# Installing a package while an image is built must not start its service.
exit 101
