/* Stops every other process by signals, where there is no freezer, and lets those go on again. */
#ifndef DORMOUSE_STOPPER_H
#define DORMOUSE_STOPPER_H

/* What is stopped already is left alone, also by stopper_continue(). Again does nothing. 0 or an errno. */
int stopper_stop(void);
int stopper_continue(void);

#endif
