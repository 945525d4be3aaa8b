// Prints the properties of the file that is named, as NAME=value with a zero byte behind each.
import java.io.FileInputStream;
import java.io.PrintStream;
import java.util.Properties;

class ReadProperties {
    public static void main(String[] arguments) throws Exception {
        Properties found = new Properties();
        try (FileInputStream file = new FileInputStream(arguments[0])) {
            // As the step readProperties of Jenkins: a stream, which is read as Latin-1.
            found.load(file);
        }
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        found.forEach((name, value) -> out.print(name + "=" + value + "\0"));
    }
}
