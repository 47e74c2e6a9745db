"""What libxml2 makes of MTConnect path expressions.

Reads a probe document from the file named first; prints, for each expression on standard input, a
line with the ids of the data items that it selects: those it names and those below the components it
names, sorted and separated by blanks.
"""

import sys

from lxml import etree

tree = etree.parse(sys.argv[1])
namespace = etree.QName(tree.getroot()).namespace
# Path expressions carry no prefixes: the standard's elements are taken without their namespace.
for element in tree.iter(etree.Element):
    if etree.QName(element).namespace == namespace:
        element.tag = etree.QName(element).localname

for line in sys.stdin:
    ids = set()
    for found in tree.xpath(line.strip()):
        if found.tag == "DataItem":
            ids.add(found.get("id"))
        else:
            ids.update(item.get("id") for item in found.iter("DataItem"))
    print(" ".join(sorted(ids)), flush=True)
