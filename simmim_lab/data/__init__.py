"""Where images come from, and the sets that hold them: what `simmim_lab.images` puts together (lesson 00).

imagesets         sets in memory and on the disk, and the batches drawn from them
pictures          one picture that anybody may have made, opened safely
folders           a folder of pictures: links, formats, classes and splits
shards            many pictures in a few tar files
photographs       eleven photographs that other packages bring along
scenes            pictures drawn by a program
torchvision_sets  well-known sets to download
downloads         downloads that are checked and go on after a cut
"""
