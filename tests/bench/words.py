"""What the words in the bench's tables mean."""
WORDS = """Words
  untuned         kcopyctl copy as anybody calls it, without options
  limit           a bare loop of ours that moves the same bytes with no service around it, given the best of a few tunings
  nbdcopy tuned   nbdcopy with the best of a few connections × requests × request size
  best peer       the fastest of nbdcopy (both), qemu-img, dd and cp; CPU goals are held against its CPU time
  measured        the median, over all rounds, of our figure divided by the other's in the same round; a goal
                  without another's name holds the figure itself
  95 % interval   where the median lies; with fewer than 6 rounds it is less sure, and [75%] says how sure it is
  verdict         met, not met: the whole interval is, or is not; likely: the median decides, the interval straddles
  time, CPU s     of the whole command, private daemon included; of a load on a daemon, see the shape's note
  anon MiB        the most anonymous memory at any time, of the runs before the rounds
  steady          bytes a second once the first GiB (or half) has arrived
  of allowed      steady, divided by what the pages in flight allow at this delay
  ramp RTTs       round trips until 90 % of the largest window is in flight; window MiB is that window
  source read     bytes read from the source, divided by its size"""


def lines():
    return WORDS.split("\n")
