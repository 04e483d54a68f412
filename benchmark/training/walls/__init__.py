"""What keeps the members of a group apart: nothing that one does changes another's numbers.

Claim: a wall costs less than 0.5 % of a step. Evidence: 113 and 172 µs a step (the least of 7 times
500 turns, with the batch that is watched), where a step of kd, resnet20→resnet8 in batches of 64,
took 165 and 179 ms (the tenth part of 300 steps was faster); float32, one thread of a shared AMD
EPYC that others worked on. About 16 µs are one reading of the 70 pieces of global state, which is
done three times a turn and once more for every further hook. ``randomness.seed_all`` gives back
100 µs of it.
"""
